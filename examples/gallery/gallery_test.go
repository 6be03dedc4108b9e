package main

import (
	"fmt"
	"testing"

	"gorm.io/gorm"
)

func TestTheListOfAlbumsTakesTwoQueriesHoweverManyThereAre(t *testing.T) {
	t.Parallel()
	db, err := openRows(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	rows, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for i, photos := range []int{0, 3, 6, 4} {
		album := Album{Title: fmt.Sprint(photos), Public: i%2 == 0, Owner: "me", Photos: make([]Photo, photos)}
		if err := db.Create(&album).Error; err != nil {
			t.Fatal(err)
		}
	}
	queries := 0
	count := func(*gorm.DB) { queries++ }
	if err := db.Callback().Query().After("gorm:query").Register("count", count); err != nil {
		t.Fatal(err)
	}
	albums, err := covers(db, "me")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(shown(albums)), "[4: 13 12 11 10 6: 9 8 7 6 3: 3 2 1 0:]"; got != want {
		t.Errorf("the covers show %s, want %s", got, want)
	}
	if queries != 2 {
		t.Errorf("the list took %d queries, want 2", queries)
	}
	if albums, err = covers(db, "somebody else"); err != nil || fmt.Sprint(shown(albums)) != "[6: 9 8 7 6 0:]" {
		t.Errorf("others see %v, %v; want the public albums", shown(albums), err)
	}
}

// shown are the albums' titles, each with the ids of the photos on its cover.
func shown(albums []Album) (list []string) {
	for _, album := range albums {
		text := album.Title + ":"
		for _, photo := range album.Photos {
			text += fmt.Sprint(" ", photo.ID)
		}
		list = append(list, text)
	}
	return list
}
