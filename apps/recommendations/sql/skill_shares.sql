-- The share of each skill among the skills of postings: from the statistics of the column, or counted over
-- some rows where PostgreSQL has not analyzed the table yet, or each skill is as rare as the others.
WITH analyzed AS MATERIALIZED (
    SELECT common.skill_id, common.share
    FROM pg_stats
    CROSS JOIN unnest(most_common_vals::text::bigint[], most_common_freqs) AS common (skill_id, share)
    WHERE schemaname = current_schema AND tablename = 'postings_postingskill' AND attname = 'skill_id'
), counted AS (
    SELECT skill_id, count(*) / sum(count(*)) OVER () AS share
    FROM (SELECT skill_id FROM postings_postingskill
          WHERE NOT EXISTS (SELECT FROM analyzed) LIMIT %(limit)s) AS sample
    GROUP BY skill_id
)
SELECT skill_id, share::float FROM analyzed
UNION ALL
SELECT skill_id, share::float FROM counted
