module github.com/filefield/filefield

go 1.26.0
