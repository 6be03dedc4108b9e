CREATE TABLE IF NOT EXISTS filefield_ledger (
	id         CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
	place      CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	bucket     VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	object_key VARBINARY(1024) NOT NULL,
	upload     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	multipart  VARBINARY(1024) NOT NULL,
	state      VARCHAR(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL CHECK (state IN ('pending', 'committed', 'deleting')),
	due        BIGINT NOT NULL,
	updated    BIGINT NOT NULL,
	INDEX filefield_ledger_due (due),
	INDEX filefield_ledger_place (place)
) ENGINE = InnoDB;
CREATE TABLE IF NOT EXISTS filefield_claims (
	id     CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
	holder VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	due    BIGINT NOT NULL,
	INDEX filefield_claims_due (due)
) ENGINE = InnoDB;
CREATE TABLE IF NOT EXISTS filefield_replacements (
	id         CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
	bucket     VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	object_key VARBINARY(1024) NOT NULL,
	target     VARBINARY(1024) NOT NULL,
	upload     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	options    TEXT NOT NULL,
	due        BIGINT NOT NULL,
	INDEX filefield_replacements_due (due)
) ENGINE = InnoDB;
