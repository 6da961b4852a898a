-- purpose: Let the server compile statements again as it does for the application
-- params: none
-- returns: none
-- lock: none
-- transaction: one
-- rerun: safe because it only sets a session variable
RESET jit
