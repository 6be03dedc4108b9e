package fieldtype_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
)

// A field is declared once, as a value and as a type.
var covers = core.MustOpen(core.Config{
	Endpoint: "files.example", UseHTTPS: true, AccessKey: "app", SecretKey: "storage-secret",
	PublicBuckets: []string{"covers"},
	SigningKeys:   []core.Secret{"32 or more random characters ..."},
}).Field(core.FieldConfig{Name: "cover", Bucket: "covers", Accept: core.Images, MaxFiles: 2})

type Cover struct{}

func (Cover) FileField() *core.Field { return covers }

// Book is a row, a form and a response in one.
type Book struct {
	Title string                `form:"title" json:"title"`
	Cover fieldtype.File[Cover] `form:"cover" json:"cover"`
}

// CoverFile is the plain name that code generators (ent, sqlc) want.
type CoverFile struct{ fieldtype.File[Cover] }

func ExampleFile() {
	// What a database hands over …
	book := Book{Title: "Cats"}
	if err := book.Cover.Scan(`{"v":1,"key":"2026/h5zl3x7q.png","name":"cat.png","size":1234,"type":"image/png","w":640,"h":480}`); err != nil {
		log.Fatal(err)
	}
	fmt.Println(book.Cover, book.Cover.Size(), book.Cover.Type(), book.Cover.Width(), book.Cover.Height())

	// … and what a client gets. Neither asked storage.
	response, err := json.Marshal(book)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(response))
	// Output:
	// cat.png 1234 image/png 640 480
	// {"title":"Cats","cover":{"name":"cat.png","type":"image/png","size":1234,"url":"https://files.example/covers/2026/h5zl3x7q.png","width":640,"height":480}}
}

func ExampleFile_Scan() {
	// Columns that Django wrote hold the key. Both forms are always read.
	var cover fieldtype.File[Cover]
	for _, column := range []any{nil, "2026/cat.png", []byte(`{"v":1,"key":"2026/h5zl3x7q.png","name":"cat.png","size":1234}`), "../secret"} {
		err := cover.Scan(column)
		fmt.Println(cover.IsZero(), cover.Key(), cover.Size(), errors.Is(err, core.ErrInvalid))
	}
	// Output:
	// true  0 false
	// false 2026/cat.png 0 false
	// false 2026/h5zl3x7q.png 1234 false
	// false 2026/h5zl3x7q.png 1234 true
}

func ExampleFile_UnmarshalJSON() {
	// A client can name no key: only a token that this app signed is a file.
	var book Book
	err := json.Unmarshal([]byte(`{"title":"Cats","cover":"2026/h5zl3x7q.png"}`), &book)
	fmt.Println(errors.Is(err, core.ErrToken), book.Cover.IsZero())

	err = json.Unmarshal([]byte(`{"title":"Cats","cover":null}`), &book)
	fmt.Println(err, book.Cover.IsZero())
	// Output:
	// true true
	// <nil> true
}

func ExampleFile_Token() {
	// A form with a fault is shown again. The hidden input carries the token, so
	// that nobody has to upload twice.
	ctx := core.WithSubject(context.Background(), "user-7")
	var sent Book
	if err := sent.Cover.Scan("2026/cat.png"); err != nil {
		log.Fatal(err)
	}
	form := map[string]string{"title": "", "cover": sent.Cover.Token(ctx)}

	// What comes back fills the field, for the same user only.
	var again, stolen fieldtype.File[Cover]
	fmt.Println(again.UnmarshalParam(form["cover"]), again.Claim(ctx), again.Key())
	fmt.Println(stolen.UnmarshalParam(form["cover"]), errors.Is(stolen.Claim(context.Background()), core.ErrToken), stolen.IsZero())
	// Output:
	// <nil> <nil> 2026/cat.png
	// <nil> true true
}

func ExampleFile_DownloadURL() {
	var cover fieldtype.File[Cover]
	if err := cover.Scan("2026/cat.png"); err != nil {
		log.Fatal(err)
	}
	link, err := cover.DownloadURL(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	address, _, _ := strings.Cut(link, "?") // what follows is the signature
	fmt.Println(address)
	// Output: https://files.example/covers/2026/cat.png
}

func ExampleFile_ValidatorValue() {
	// go-playground/validator sees nil for no file, so `required` means required.
	var cover fieldtype.File[Cover]
	fmt.Println(cover.ValidatorValue())
	if err := cover.Scan("2026/cat.png"); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v\n", cover.ValidatorValue())
	// Output:
	// <nil>
	// {Name:cat.png Size:0 Type: Width:0 Height:0}
}

func ExampleFile_named() {
	var cover CoverFile
	if err := cover.Scan("2026/cat.png"); err != nil {
		log.Fatal(err)
	}
	value, err := cover.Value()
	fmt.Println(value, err)
	// Output: {"v":1,"key":"2026/cat.png","name":"cat.png","size":0} <nil>
}

func ExampleFile_Open() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var book Book // … from the database
	cover, err := book.Cover.Open(ctx)
	if errors.Is(err, core.ErrNotFound) {
		return // no file, or it is gone; an outage is another error
	} else if err != nil {
		log.Fatal(err)
	}
	defer cover.Close()
	if _, err := io.Copy(os.Stdout, cover); err != nil {
		log.Fatal(err)
	}
	// Output:
}

func ExampleFile_Delete() {
	// deleteCover removes the row's file once the row has been changed. In a
	// handler the middleware does the beginning and the end.
	deleteCover := func(ctx context.Context, book *Book, update func(*Book) error) error {
		ctx, txn := core.Begin(ctx)
		defer txn.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // does nothing after Commit
		if err := book.Cover.Delete(ctx); err != nil {
			return err
		}
		if err := update(book); err != nil {
			return err // the file stays
		}
		return txn.Commit(ctx) // now it goes
	}
	var book Book // … from the database
	err := deleteCover(context.Background(), &book, func(b *Book) error {
		value, err := b.Cover.Value()
		fmt.Println("UPDATE books SET cover =", value)
		return err
	})
	fmt.Println(err)
	// Output:
	// UPDATE books SET cover = <nil>
	// <nil>
}

// Portrait has an image of the same field.
type Portrait struct {
	Picture fieldtype.Image[Cover] `json:"picture"`
}

func ExampleImage() {
	// A photo that was taken upright: its pixels are stored on their side.
	var p Portrait
	if err := p.Picture.Scan(`{"v":1,"key":"2026/zoe.jpg","name":"zoe.jpg","size":9,"type":"image/jpeg","w":640,"h":480,"o":6}`); err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Picture.Format(), p.Picture.Width(), p.Picture.Height(), p.Picture.Orientation())

	response, err := json.Marshal(p)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(response))
	// Output:
	// jpeg 480 640 6
	// {"picture":{"name":"zoe.jpg","type":"image/jpeg","size":9,"url":"https://files.example/covers/2026/zoe.jpg","width":480,"height":640}}
}

func ExampleFile_Href() {
	page := template.Must(template.New("page").Parse(`<img src="{{.Cover.Href}}" alt="{{.Cover}}">` + "\n"))
	book := Book{Title: "Cats"}
	if err := book.Cover.Scan("2026/a cat.png"); err != nil {
		log.Fatal(err)
	}
	if err := page.Execute(os.Stdout, book); err != nil {
		log.Fatal(err)
	}
	// Output: <img src="https://files.example/covers/2026/a%20cat.png" alt="a cat.png">
}

func ExampleMigrateColumn() {
	// toDocuments turns the keys that Django wrote into documents, with what storage
	// knows of the files.
	toDocuments := func(ctx context.Context, db *sql.DB) error {
		report, err := fieldtype.MigrateColumn(ctx, db, fieldtype.ColumnMigration{
			Field: covers, Dialect: fieldtype.PostgreSQL, Table: "books", Column: "cover", Fill: fieldtype.FillHead,
		})
		if err != nil {
			return fmt.Errorf("%w; go on after %v", err, report.Last)
		}
		fmt.Println(report.Converted, "converted,", len(report.Missing), "without an object,", len(report.Refused), "to look at")
		return nil
	}
	_ = toDocuments
	// Output:
}

func ExampleFiles() {
	var pages fieldtype.Files[Cover]
	if err := pages.Scan(`["2026/1.png",{"v":1,"key":"2026/2.png","name":"two.png","size":5}]`); err != nil {
		log.Fatal(err)
	}
	for _, page := range pages {
		fmt.Println(page.Name(), page.Key())
	}
	value, err := fieldtype.Files[Cover]{}.Value()
	fmt.Println(value, err)
	// Output:
	// 1.png 2026/1.png
	// two.png 2026/2.png
	// <nil> <nil>
}
