UNFOLD = {"SITE_TITLE": "jobrec", "SITE_HEADER": "jobrec"}
