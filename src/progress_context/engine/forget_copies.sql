-- Copies of versions that are not active any more serve nobody.
DELETE FROM engine.snapshot_tables AS copy
 WHERE NOT EXISTS (
       SELECT FROM engine.versions AS version
        WHERE version.status = 'active'
          AND version.read_model = copy.read_model AND version.fingerprint = copy.fingerprint)
