"""GraphQL: the one edge package. It translates; the apps decide. Nothing else imports graphene."""
