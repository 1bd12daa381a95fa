"""The part of the Hibernate Query Language that OMERO clients use: parsed, checked against the schema, evaluated."""
