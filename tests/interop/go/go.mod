module http2peer

go 1.19
