SET allow_in_place_tablespaces = on
CREATE TABLESPACE scenario_slow LOCATION ''
CREATE TABLESPACE scenario_fast LOCATION ''
