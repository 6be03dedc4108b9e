package echomw

import (
	"github.com/labstack/echo/v4"

	"github.com/filefield/filefield/nethttp"
)

// Wrap turns a handler of nethttp, such as Files or Links return, into one of
// Echo's. Its errors are *echo.HTTPError with a core.Problem as message. It finds
// the path's parameters by r.PathValue, as with net/http.
//
//	e.GET("/files/:link/:name", echomw.Wrap(nethttp.Links(avatars, nethttp.Anyone)))
func Wrap(h nethttp.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		values := c.ParamValues()
		for i, name := range c.ParamNames() {
			c.Request().SetPathValue(name, values[i])
		}
		if err := h(c.Response(), c.Request()); err != nil {
			return ours(err)
		}
		return nil
	}
}
