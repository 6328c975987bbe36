CREATE TABLE runs ( run_id TEXT PRIMARY KEY, name TEXT NOT NULL, cloud TEXT NOT NULL, state TEXT NOT NULL, started REAL NOT NULL, ended REAL, controller INTEGER, message TEXT NOT NULL DEFAULT '' ) WITHOUT ROWID;
CREATE INDEX runs_by_start ON runs (started);
CREATE TABLE steps ( run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, position INTEGER NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL, studio TEXT, machine TEXT, started REAL, ended REAL, exit_code INTEGER, message TEXT NOT NULL DEFAULT '', PRIMARY KEY (run_id, name) ) WITHOUT ROWID;
CREATE TABLE leases ( run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, kind TEXT NOT NULL, name TEXT NOT NULL, on_release TEXT NOT NULL, created REAL NOT NULL, released REAL, PRIMARY KEY (run_id, kind, name) ) WITHOUT ROWID;
CREATE INDEX open_leases ON leases (run_id) WHERE released IS NULL;
