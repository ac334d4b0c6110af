DROP TABLE previews;
DROP TABLE preview_settings;
ALTER TABLE builds DROP COLUMN settings_ref;
ALTER TABLE environments DROP COLUMN kind;
