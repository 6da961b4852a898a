-- the reader and the forced owner see one tenant
SELECT seen_by_reader() = count(*) AND seen_by_owner() = count(*) FROM tickets WHERE tenant = 1
