// Package app is the app that the soak runs and kills: rows in SQLite that have a
// file each, uploads by forms, replacements, deletions and downloads, the ledger's
// worker, and sweeps. It is written as an app of this library's users would be,
// with a few routes more, by which the soak looks into it.
//
//	POST   /files        a form with id and file: 201
//	PUT    /files/{id}   a form with file, which takes the old one's place: 204
//	GET    /files/{id}   the file
//	DELETE /files/{id}   204
//
//	GET    /rows         what the rows say, a line of JSON each
//	POST   /sweep        a sweep; ?ahead=25h puts the clock forward
//	POST   /recover      the ledger's recovery; ?ahead=1h as above
//	GET    /stats        what the process holds; ?settle=true has it let go first
package app
