"""The domains of jobrec, each a Django app. They never import workers."""
