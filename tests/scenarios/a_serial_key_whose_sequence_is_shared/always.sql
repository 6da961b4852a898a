-- the other table still draws from the sequence
SELECT pg_get_expr(adbin, adrelid) LIKE '%orders_id_seq%' FROM pg_attrdef WHERE adrelid = 'archived_orders'::regclass
