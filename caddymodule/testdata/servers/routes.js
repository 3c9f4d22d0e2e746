// Two servers of Node that answer which of their routes a request took: one that routes by
// URL, one by Express. Their ports are on the first line of what this prints.
const http = require('http')
const express = require('express')

function answer(res, route) {
  res.setHeader('X-Route', route)
  res.end()
}

const byURL = http.createServer((req, res) => {
  let path
  try {
    path = decodeURIComponent(new URL(req.url, 'http://app').pathname)
  } catch {
    res.statusCode = 400
    return res.end()
  }
  for (const [prefix, route] of [['/admin', 'admin'], ['/public/', 'public'], ['/billing', 'billing'], ['/account/delete', 'delete'], ['/auth/sessions', 'sessions']]) {
    if (path.startsWith(prefix)) return answer(res, route)
  }
  answer(res, path.endsWith('.css') ? 'css' : 'other')
})

const app = express()
app.use('/admin', (req, res) => answer(res, 'admin'))
app.use('/public/', (req, res) => answer(res, 'public'))
app.use('/billing', (req, res) => answer(res, 'billing'))
app.all('/account/delete', (req, res) => answer(res, 'delete'))
app.all('/auth/sessions', (req, res) => answer(res, 'sessions'))
app.use((req, res) => answer(res, req.path.endsWith('.css') ? 'css' : 'other'))
app.use((err, req, res, next) => res.status(400).end())
const byExpress = http.createServer(app)

byURL.listen(0, '127.0.0.1', () => byExpress.listen(0, '127.0.0.1', () => console.log(byURL.address().port, byExpress.address().port)))
process.stdin.on('end', () => process.exit()).resume() // with who started this
