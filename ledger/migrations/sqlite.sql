CREATE TABLE IF NOT EXISTS filefield_ledger (
	id         CHAR(64) NOT NULL PRIMARY KEY,
	place      CHAR(64) NOT NULL,
	bucket     VARCHAR(63) NOT NULL,
	object_key TEXT NOT NULL,
	upload     VARCHAR(64) NOT NULL,
	multipart  TEXT NOT NULL,
	state      VARCHAR(10) NOT NULL CHECK (state IN ('pending', 'committed', 'deleting')),
	due        BIGINT NOT NULL,
	updated    BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS filefield_ledger_due ON filefield_ledger (due);
CREATE INDEX IF NOT EXISTS filefield_ledger_place ON filefield_ledger (place);
CREATE TABLE IF NOT EXISTS filefield_claims (
	id     CHAR(64) NOT NULL PRIMARY KEY,
	holder VARCHAR(32) NOT NULL,
	due    BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS filefield_claims_due ON filefield_claims (due);
CREATE TABLE IF NOT EXISTS filefield_replacements (
	id         CHAR(64) NOT NULL PRIMARY KEY,
	bucket     VARCHAR(63) NOT NULL,
	object_key TEXT NOT NULL,
	target     TEXT NOT NULL,
	upload     VARCHAR(64) NOT NULL,
	options    TEXT NOT NULL,
	due        BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS filefield_replacements_due ON filefield_replacements (due);
