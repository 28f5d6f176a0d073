-- The same work on a database in memory and on one in a file: tables, indexes, joins, window functions, text search,
-- JSON, triggers, savepoints, a VACUUM, and the check of everything.
PRAGMA journal_mode = WAL;
PRAGMA cache_size = -4000;
PRAGMA threads = 2;
CREATE TABLE item (id INTEGER PRIMARY KEY, owner INTEGER, score REAL, name TEXT, data BLOB);
CREATE TABLE owner (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE change (item INTEGER, old REAL, new REAL);
CREATE TRIGGER changed AFTER UPDATE OF score ON item BEGIN INSERT INTO change VALUES (old.id, old.score, new.score); END;
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
INSERT INTO owner SELECT i, 'owner ' || i FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
INSERT INTO item SELECT i, 1 + (i * 7919) % 2000, (i * 104729 % 10007) / 7.0, 'item ' || hex(i * 2654435761 % 4294967296), zeroblob(i % 60) FROM n;
COMMIT;
CREATE INDEX item_owner ON item (owner, score);
CREATE INDEX item_name ON item (name COLLATE NOCASE);
SELECT count(*), sum(length(data)), round(sum(score), 3), min(name), max(name) FROM item;
SELECT o.name, count(*), round(avg(i.score), 4) FROM item i JOIN owner o ON o.id = i.owner GROUP BY o.id ORDER BY 3 DESC, 1 LIMIT 5;
SELECT id, owner, rank FROM (SELECT id, owner, rank() OVER (PARTITION BY owner ORDER BY score DESC, id) AS rank FROM item) WHERE rank = 3 ORDER BY id LIMIT 5;
SELECT count(DISTINCT substr(name, 6, 3)), length(group_concat(name, ';')) FROM item WHERE id % 7 = 0;
SELECT sum(length(json)), json_extract(max(json), '$.name') FROM (SELECT json_object('id', id, 'name', name, 'scores', json_array(score, score * 2)) AS json FROM item WHERE id < 20000);
SELECT count(*) FROM item a JOIN item b ON b.owner = a.owner AND b.score > a.score WHERE a.id < 3000;
CREATE VIRTUAL TABLE text USING fts5(body);
INSERT INTO text SELECT name || ' of ' || owner || ' with ' || printf('%x', id * 31) FROM item WHERE id <= 40000;
SELECT count(*), min(rowid) FROM text WHERE text MATCH '1f* OR 17';
UPDATE item SET score = score * 2, data = zeroblob(300) WHERE id % 10 = 3;
SAVEPOINT before;
DELETE FROM item WHERE id % 3 = 0;
SELECT count(*) FROM item;
ROLLBACK TO before;
RELEASE before;
DELETE FROM item WHERE id % 5 = 0;
SELECT count(*), round(sum(new - old), 3) FROM change;
INSERT INTO text(text) VALUES ('optimize');
VACUUM;
PRAGMA integrity_check;
PRAGMA foreign_key_check;
INSERT INTO text(text) VALUES ('integrity-check');
SELECT count(*), round(sum(score), 3), sum(length(data)) FROM item;
