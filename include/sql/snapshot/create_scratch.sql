-- purpose: Create the scratch database of a restore check, encoded and ordered as the original is
-- params: none
-- returns: none
-- lock: none
-- transaction: none
-- rerun: safe because the caller drops what an earlier check left
CREATE DATABASE {scratch} TEMPLATE template0 ENCODING {encoding} LC_COLLATE {collate} LC_CTYPE {ctype} {locale}
