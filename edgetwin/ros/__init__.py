"""CARRY: the ROS graph. The only room that imports rclpy."""
