CREATE TABLE "100% {sold}" (
    "{id}" bigint GENERATED ALWAYS AS IDENTITY,
    "{0}" timestamptz NOT NULL,
    "%s" integer,
    "%(id)s" text DEFAULT '100%',
    "{{x}}" text COLLATE "C" DEFAULT '{}',
    CONSTRAINT "%%" PRIMARY KEY ("{id}"),
    CONSTRAINT "{}" CHECK ("{{x}}" NOT LIKE '%{0}%s%%')
);
CREATE INDEX "%I {1}" ON "100% {sold}" (("{{x}}" || '%s{0}')) WHERE "%(id)s" LIKE '%\%%';
COMMENT ON TABLE "100% {sold}" IS '%s {0} $1 :x {{ y }}';
COMMENT ON COLUMN "100% {sold}"."{0}" IS '%(id)s {% raw %}';
INSERT INTO "100% {sold}" ("{0}", "{{x}}") SELECT moment, '{{ ' || n || ' }}' FROM pg_temp.moments(300);
