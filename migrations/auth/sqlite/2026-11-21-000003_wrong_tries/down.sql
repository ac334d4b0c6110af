DROP TABLE wrong_tries;
