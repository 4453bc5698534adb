"""Tables and columns of each kind's rows and vectors: the only place that knows both sides."""

from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier

from apps.candidates.models import Candidate, CandidateSkill
from apps.embeddings.models import CandidateEmbedding, Kind, PostingEmbedding
from apps.postings.models import Posting, PostingSkill
from apps.records.models import Record


@dataclass(frozen=True)
class KindTables:
    """Tables and columns of a kind. `title` and `body` are SQL expressions over the columns of the record."""

    kind: Kind
    model: type[Record]
    record: str
    embedding: str
    skill_use: str
    key: str
    title: str
    body: str
    namespace: str

    @property
    def sql(self) -> dict[str, Composable]:
        """Parts for `SQL.format`: identifiers, and the expressions `title`, `body` and `text_bytes`.

        `text_bytes` is the length of the embedded text; octet_length reads no TOASTed value.
        """
        parts = [self.title, "skills_text", *self.body.split(" || E'\\n\\n' || ")]
        return {
            "record": Identifier(self.record),
            "embedding": Identifier(self.embedding),
            "skill_use": Identifier(self.skill_use),
            "key": Identifier(self.key),
            "title": SQL(self.title),
            "body": SQL(self.body),
            "text_bytes": SQL(" + ").join(SQL("octet_length({})").format(SQL(part)) for part in parts),
        }


TABLES = {
    Kind.POSTING: KindTables(
        kind=Kind.POSTING,
        model=Posting,
        record=Posting._meta.db_table,
        embedding=PostingEmbedding._meta.db_table,
        skill_use=PostingSkill._meta.db_table,
        key="posting_id",
        title="title",
        body="description",
        namespace="postings",
    ),
    Kind.CANDIDATE: KindTables(
        kind=Kind.CANDIDATE,
        model=Candidate,
        record=Candidate._meta.db_table,
        embedding=CandidateEmbedding._meta.db_table,
        skill_use=CandidateSkill._meta.db_table,
        key="candidate_id",
        title="headline",
        body="looking_for || E'\\n\\n' || resume",
        namespace="candidates",
    ),
}


def tables(kind: str) -> KindTables:
    """Tables of a kind, by its value."""
    return TABLES[Kind(kind)]
