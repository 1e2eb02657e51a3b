module containerapp

go 1.19
