"""`./run up` and `./run demo`: one process that starts, watches and stops all the others. Decides no business."""
