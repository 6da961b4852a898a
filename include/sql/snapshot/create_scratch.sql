-- purpose: Create the scratch database of a restore check, with the encoding and locale of the original
-- params: none
-- returns: none
-- lock: none
-- transaction: none
-- rerun: safe because the caller drops the database of an earlier check first
CREATE DATABASE {scratch} TEMPLATE template0 ENCODING {encoding} LC_COLLATE {collate} LC_CTYPE {ctype} {locale}
