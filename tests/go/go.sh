language Go
