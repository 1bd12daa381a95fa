"""Key-value stores, JSON documents and arrays by URI: local folders, S3, HTTP."""
