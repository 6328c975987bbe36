CREATE TABLE runs ( run_id TEXT PRIMARY KEY, name TEXT NOT NULL, cloud TEXT NOT NULL, state TEXT NOT NULL, started REAL NOT NULL, ended REAL, controller INTEGER, message TEXT NOT NULL DEFAULT '', token INTEGER NOT NULL DEFAULT 0 ) WITHOUT ROWID;
CREATE INDEX runs_by_start ON runs (started);
CREATE INDEX runs_by_name ON runs (name, started);
CREATE TABLE steps ( run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, position INTEGER NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL DEFAULT 1, place TEXT, machine TEXT, started REAL, ended REAL, exit_code INTEGER, cost REAL, message TEXT NOT NULL DEFAULT '', PRIMARY KEY (run_id, name) ) WITHOUT ROWID;
CREATE TABLE leases ( run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, kind TEXT NOT NULL, name TEXT NOT NULL, on_release TEXT NOT NULL, created REAL NOT NULL, released REAL, PRIMARY KEY (run_id, kind, name) ) WITHOUT ROWID;
CREATE INDEX open_leases ON leases (created) WHERE released IS NULL;
CREATE TABLE events ( event_id INTEGER PRIMARY KEY, run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, at REAL NOT NULL, step TEXT, text TEXT NOT NULL );
CREATE INDEX events_by_run ON events (run_id);
