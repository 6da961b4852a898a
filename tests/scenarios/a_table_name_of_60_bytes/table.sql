CREATE TABLE temperaturmesswerte_der_kühlräume_aller_niederlassungen_ab (
    id bigserial PRIMARY KEY,
    gemessen_am_zeitpunkt_der_übertragung_durch_das_gerät_vor_ort timestamptz NOT NULL,
    wert real CONSTRAINT temperaturmesswerte_der_kühlräume_aller_niederlassungen_ist CHECK (wert > -100)
);
CREATE INDEX temperaturmesswerte_der_kühlräume_aller_niederlassungen_ind_1 ON temperaturmesswerte_der_kühlräume_aller_niederlassungen_ab (wert);
CREATE INDEX temperaturmesswerte_der_kühlräume_aller_niederlassungen_ind_2 ON temperaturmesswerte_der_kühlräume_aller_niederlassungen_ab
    (gemessen_am_zeitpunkt_der_übertragung_durch_das_gerät_vor_ort DESC);
INSERT INTO temperaturmesswerte_der_kühlräume_aller_niederlassungen_ab (gemessen_am_zeitpunkt_der_übertragung_durch_das_gerät_vor_ort, wert)
SELECT moment, n / 10.0 FROM pg_temp.moments(400);
