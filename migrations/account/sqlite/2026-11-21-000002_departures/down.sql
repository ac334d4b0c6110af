DROP INDEX invites_inviter_identity_id;
DROP INDEX invites_inviter_user_id;
ALTER TABLE users DROP COLUMN deleted_at;
