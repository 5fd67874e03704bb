"""Labels in and out: data sets from and to the files of other tools, one module a format."""
