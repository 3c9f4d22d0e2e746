<?php header("X-Route: billing");
