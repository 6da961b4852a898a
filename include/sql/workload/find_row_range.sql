-- purpose: Read the oldest row of one partition and the newest row up to now of another one
-- params: none
-- returns: row
-- lock: ACCESS SHARE on both partitions
-- transaction: one
-- rerun: safe because it only reads
SELECT (SELECT {partition_by} FROM {oldest} WHERE {finite} ORDER BY {partition_by} LIMIT 1) AS oldest,
       (SELECT {partition_by} FROM {newest} WHERE {up_to_now} AND {finite} ORDER BY {partition_by} DESC LIMIT 1) AS newest
