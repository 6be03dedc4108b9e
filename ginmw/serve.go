package ginmw

import (
	"github.com/gin-gonic/gin"

	"github.com/filefield/filefield/nethttp"
)

// Wrap turns a handler of nethttp, such as Files or Links return, into one of
// Gin's. Its errors are answered by Abort. It finds the path's parameters by
// r.PathValue, as with net/http.
//
//	r.GET("/files/:link/:name", ginmw.Wrap(nethttp.Links(avatars, nethttp.Anyone)))
func Wrap(h nethttp.HandlerFunc) gin.HandlerFunc {
	return func(c *gin.Context) {
		for _, p := range c.Params {
			c.Request.SetPathValue(p.Key, p.Value)
		}
		if err := h(c.Writer, c.Request); err != nil {
			Abort(c, err)
		}
	}
}
