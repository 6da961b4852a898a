-- 428C9 a value given for a generated column
UPDATE sales SET gross = 1
