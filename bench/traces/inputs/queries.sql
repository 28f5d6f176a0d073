-- Inserts, indexes, joins, sorts, text and JSON: what the sqlite trace is recorded on.
PRAGMA journal_mode=MEMORY;
CREATE TABLE word(id INTEGER PRIMARY KEY, name TEXT, length INT, weight REAL);
CREATE TABLE pair(a INT, b INT, note TEXT);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<20000)
INSERT INTO word SELECT i, printf('word-%x-%s', i*2654435761%1000003, hex(i*i)), i%97, i*0.37 FROM n;
INSERT INTO pair SELECT id, (id*7919)%20000+1, substr(name, 3, length%11) || group_concat(id) FROM word GROUP BY id;
COMMIT;
CREATE INDEX word_name ON word(name);
CREATE INDEX pair_a ON pair(a);
SELECT count(*), avg(weight) FROM word GROUP BY length ORDER BY 2 DESC LIMIT 5;
SELECT w.name, group_concat(p.note, ';') FROM word w JOIN pair p ON p.b = w.id GROUP BY w.id ORDER BY w.name LIMIT 20;
SELECT length, group_concat(name) FROM (SELECT * FROM word ORDER BY name DESC) GROUP BY length LIMIT 3;
UPDATE word SET name = upper(name) || '-' || length(name) WHERE id % 3 = 0;
SELECT json_group_array(json_object('id', id, 'name', name, 'weight', weight)) FROM word WHERE id < 3000;
SELECT count(*) FROM word, json_each('[1,2,3,4,5,6,7,8]') WHERE name LIKE '%'||value||'%';
DELETE FROM pair WHERE a % 5 = 0;
VACUUM;
