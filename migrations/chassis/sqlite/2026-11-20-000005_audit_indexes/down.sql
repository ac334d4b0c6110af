DROP INDEX audit_log_subject;
DROP INDEX audit_log_action;
DROP INDEX audit_log_actor;
