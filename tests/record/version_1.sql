BEGIN TRANSACTION;
CREATE TABLE actions (
        number INTEGER PRIMARY KEY,
        at REAL NOT NULL,
        id TEXT NOT NULL,
        through TEXT NOT NULL,
        what TEXT NOT NULL,
        consent TEXT,
        words TEXT,
        answer TEXT,
        origin TEXT,
        workspace TEXT
    );
INSERT INTO "actions" VALUES(1,1796000001.0,'msgbatch_A','guard','create',NULL,NULL,NULL,'https://api.example:443','wrkspc_1');
INSERT INTO "actions" VALUES(2,1796000002.0,'msgbatch_B','guard','create',NULL,NULL,NULL,'https://api.example:443','wrkspc_1');
INSERT INTO "actions" VALUES(3,1796000003.0,'msgbatch_C','run','create',NULL,NULL,NULL,'https://api.example:443','wrkspc_1');
INSERT INTO "actions" VALUES(4,1796000004.0,'msgbatch_D','command line','name',NULL,'only named',NULL,NULL,NULL);
INSERT INTO "actions" VALUES(5,1796000005.0,'msgbatch_E','ask','cancel','yes','stop it','canceling','https://api.example:443','wrkspc_1');
CREATE TABLE batches (
        id TEXT PRIMARY KEY,
        name TEXT,
        origin TEXT,
        workspace TEXT,
        created_at REAL,
        host TEXT,
        pid INTEGER,
        started TEXT,
        program TEXT,
        requests INTEGER,
        models TEXT,
        first_custom_id TEXT,
        last_custom_id TEXT,
        ended INTEGER NOT NULL DEFAULT 0
    );
INSERT INTO "batches" VALUES('msgbatch_A','nightly eval','https://api.example:443','wrkspc_1',1796000001.0,'a-host',4711,'machine boot pid 100','train.py',3,NULL,NULL,NULL,0);
INSERT INTO "batches" VALUES('msgbatch_B',NULL,'https://api.example:443','wrkspc_1',1796000002.0,'a-host',4711,'machine boot pid 100','train.py',3,NULL,NULL,NULL,1);
INSERT INTO "batches" VALUES('msgbatch_C',NULL,'https://api.example:443','wrkspc_1',1796000003.0,'a-host',4712,'','submit.sh',3,NULL,NULL,NULL,0);
INSERT INTO "batches" VALUES('msgbatch_D','only named',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "batches" VALUES('msgbatch_E',NULL,'https://api.example:443','wrkspc_1',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0);
CREATE INDEX actions_of_a_batch ON actions (id);
PRAGMA user_version = 1;
COMMIT;
