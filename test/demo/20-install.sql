--- 2. Install

-- This demo ends with a look at what credit has left behind. Hence first a
-- dump of the database's definition as it is now; then one statement:

--! dump before
CREATE EXTENSION credit;

-- All our documents are in euros; where a document names no currency, that is it.

SELECT credit.set('currency', 'EUR');
