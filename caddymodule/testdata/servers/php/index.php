<?php
// A front controller, as most PHP apps have one: by the path behind its name, else by the URL.
$path = $_SERVER['PATH_INFO'] ?? '';
if ($path === '') {
    $path = rawurldecode(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) ?: '');
}
$route = str_ends_with($path, '.css') ? 'css' : 'other';
foreach (['/admin' => 'admin', '/public/' => 'public', '/billing' => 'billing', '/account/delete' => 'delete', '/auth/sessions' => 'sessions'] as $prefix => $name) {
    if (str_starts_with($path, $prefix)) {
        $route = $name;
    }
}
header("X-Route: $route");
