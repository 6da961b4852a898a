-- 23514 what the check forbids
INSERT INTO "100% {sold}" ("{0}", "{{x}}") VALUES (now(), 'a{0}bscs%')
