-- What a charge is asked for again with, when a crash broke it off.
ALTER TABLE attempts ADD COLUMN token TEXT NOT NULL DEFAULT '';
