-- insert
INSERT INTO temperaturmesswerte_der_kühlräume_aller_niederlassungen_ab AS live (gemessen_am_zeitpunkt_der_übertragung_durch_das_gerät_vor_ort, wert)
VALUES (%(moment)s, 4)
-- move
UPDATE temperaturmesswerte_der_kühlräume_aller_niederlassungen_ab AS live
   SET gemessen_am_zeitpunkt_der_übertragung_durch_das_gerät_vor_ort = %(moment)s, wert = wert + 1 WHERE id = %(id)s
-- delete
DELETE FROM temperaturmesswerte_der_kühlräume_aller_niederlassungen_ab AS live WHERE id = %(id)s
