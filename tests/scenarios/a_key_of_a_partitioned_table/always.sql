-- every bill has its visit
SELECT NOT EXISTS (SELECT FROM bills LEFT JOIN visits ON visits.id = visit AND visits.at = visited_at WHERE visits.id IS NULL)
