-- The companies with most open postings. One pass counts by company and sums over the groups; names are
-- joined after it.
SELECT company.id, company.name, counted.count, counted.total
FROM (SELECT company_id, count(*) AS count, sum(count(*)) OVER ()::bigint AS total
      FROM ({open_postings}) AS open GROUP BY company_id) AS counted
JOIN postings_company AS company ON company.id = counted.company_id
ORDER BY counted.count DESC, company.name
LIMIT %(first)s
