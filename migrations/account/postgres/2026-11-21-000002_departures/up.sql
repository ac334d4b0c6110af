-- A user who was deleted leaves a row without her address: audit entries and memberships name it.
ALTER TABLE users ADD COLUMN deleted_at TIMESTAMP;
CREATE INDEX invites_inviter_user_id ON invites (inviter_user_id, id);
CREATE INDEX invites_inviter_identity_id ON invites (inviter_identity_id, id);
