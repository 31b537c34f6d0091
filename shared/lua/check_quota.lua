#!lua flags=no-writes
-- Before files are sent: what the tenant has used up today, if anything.
return over_quota(ARGV[1], {images = 1, bytes = 1}, cjson.decode(ARGV[2]))
