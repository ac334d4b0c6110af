DROP TABLE letter_counts;
DROP TABLE reset_requests;
DROP TABLE letters;
