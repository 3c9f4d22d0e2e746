<?php header("X-Route: admin");
